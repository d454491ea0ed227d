"""The log: RFC 6962 tree, signed notes, checkpoints and proofs. How a document is bound to a public promise.

    entry        the fixed text that is a leaf: which document, of which kind, by which key, where
    merkle       the tree over the leaves: roots, proofs, and their verification
    note         text with signature lines (C2SP signed-note), as bytes
    checkpoint   the note in which the log states its size and root
    proof        a file that leads from one entry to one checkpoint (C2SP tlog-proof)

This package reads and verifies, and makes what the log's owner publishes. Who is believed is decided in
`certificate.trust`; rows, sequence and publication belong to the controller's store.
"""
