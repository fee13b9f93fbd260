"""The learning loop: corrections ledger, acquisition, retraining, promotion gate, registry."""
