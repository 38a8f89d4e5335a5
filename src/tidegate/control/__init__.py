"""The control plane: a folder for each capability, with model.py (pure), store.py (SQL) and service.py (verbs)."""
