"""Questions asked of the world, outside transactions; each answer is a stored observation.

The promise of every module: the question's row is committed before the question is sent, so that its age
counts from the asking; the answer completes exactly that row; what went wrong is stored as `unknown` with its
reason, because an open question and a silent one mean the same. Nothing here decides anything.
"""
