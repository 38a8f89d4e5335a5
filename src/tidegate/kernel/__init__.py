"""The words every room shares: ids, money, errors, names, documents, the clock. No I/O."""
