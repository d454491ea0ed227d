"""What people decide, signed with their own keys: who counts, what they were shown, and what follows.

The promise: nobody acts under a name; an act is a signed statement over exactly what `serve` showed, and it
has its effect in the transaction that finds enough different people behind the same words.
"""
