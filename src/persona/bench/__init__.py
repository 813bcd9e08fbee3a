"""Workloads that are timed, and the gate that notices when one becomes slower."""
