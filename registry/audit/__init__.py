"""The audit log's pure core: payloads, Merkle tree, checkpoints, export lines, offline verifier.

Kept empty on purpose: `python -m registry.audit.verify` must run on a bare Python.
"""
