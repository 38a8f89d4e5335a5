"""The border between the planes: what control tells the gateway (Snapshot), what the gateway tells control
(CallRecord).
"""
