-- KEYS: the mark, the outbound streams, the highest term. All at once, so that nobody publishes in between.
return redis.call('DEL', unpack(KEYS))
