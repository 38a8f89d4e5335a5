"""Where the outer world comes in. Each door parses, calls one verb and renders; no door knows another."""
