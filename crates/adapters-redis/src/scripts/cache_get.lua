-- A cached campaign, unless the cache was emptied since.
-- KEYS: the epoch, the entry. Answers its body or nil.
local entry = redis.call('HMGET', KEYS[2], 'e', 'b')
if entry[2] and entry[1] == (redis.call('GET', KEYS[1]) or '0') then return entry[2] end
return false
