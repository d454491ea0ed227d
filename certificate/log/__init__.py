"""RFC 6962 tree, signed notes, checkpoints and proofs: how a document is bound to what was promised in
public.
"""
