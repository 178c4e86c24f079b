"""Other shapes of exported records, for spreadsheets, data frames and security tools.

Nothing here is hashed: whoever must prove something takes the JSON Lines or the bundle.
"""

from registry.audit.views.delimited import CsvWriter
from registry.audit.views.ocsf import OcsfWriter
from registry.audit.views.parquet import ParquetWriter

__all__ = ["CsvWriter", "OcsfWriter", "ParquetWriter"]
