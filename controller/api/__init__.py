"""The front doors of a running controller: the Unix socket of `serve`, and the webhook.

Routes are thin: they read a document, ask the desk once, and answer with a document. What is decided is
decided elsewhere.
"""
