-- Moves the mark up, never down.
-- KEYS: the mark. ARGV: the channel, the position. Answers the mark.
local position = redis.call('HGET', KEYS[1], 'position') or '0'
if tonumber(position) >= tonumber(ARGV[2]) then return position end
redis.call('HSET', KEYS[1], 'position', ARGV[2])
redis.call('HDEL', KEYS[1], 'fact')
redis.call('PUBLISH', ARGV[1], ARGV[2])
return ARGV[2]
