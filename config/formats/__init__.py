"""How dates are written in the admin pages (FORMAT_MODULE_PATH)."""
