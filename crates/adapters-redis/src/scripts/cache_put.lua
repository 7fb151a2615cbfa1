-- Keeps campaigns, or only that a version is outdated (an empty body); never goes back.
-- KEYS: the epoch, the index, the entries. ARGV: time to live in ms, the most entries; a version and a body for each entry.
local epoch = redis.call('GET', KEYS[1]) or '0'
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local ttl = tonumber(ARGV[1])
for i = 3, #KEYS do
  local version, body = ARGV[2 * i - 3], ARGV[2 * i - 2]
  local known = redis.call('HMGET', KEYS[i], 'v', 'e', 'b')
  local old = known[1] and tonumber(known[1]) or -1
  local whole = known[3] and known[2] == epoch
  local newer = tonumber(version) > old or (body ~= '' and not whole and tonumber(version) == old)
  if newer then
    redis.call('HSET', KEYS[i], 'v', version, 'e', epoch)
    if body == '' then redis.call('HDEL', KEYS[i], 'b') else redis.call('HSET', KEYS[i], 'b', body) end
    redis.call('PEXPIRE', KEYS[i], ttl)
    redis.call('ZADD', KEYS[2], now, KEYS[i])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ttl)
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[2])
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], over)
  for i = 1, #oldest, 2 do redis.call('DEL', oldest[i]) end
end
return true
