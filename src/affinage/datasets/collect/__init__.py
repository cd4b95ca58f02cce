"""From a table of addresses to files named by content: a ledger on disk, polite and guarded requests."""
