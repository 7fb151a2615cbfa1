-- KEYS: the stream, the highest term. ARGV: the term, group, ids. Answers how many were pending.
return redis.call('XACK', KEYS[1], unpack(ARGV, 2))
