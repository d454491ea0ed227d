"""The validation table as people write it: drafted, compared, doubted, and signed as the next version.

The promise: nothing here is in force before the root key signed it and `serve` started again; a draft is read
as strictly as what strangers send; whatever a new table makes weaker is said before it is signed.

    draft       the editable file, without signature
    changes     what a new table would decide otherwise, row by row
    doubts      what is probably not meant
    signing     the next version, and the one before kept beside it
"""
