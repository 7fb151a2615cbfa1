-- Keeps campaigns, or only that a version is outdated (an empty body); never goes back.
-- KEYS: the epoch, the index of campaigns, the index of mere versions, the entries. ARGV: time to live in ms, for how many ms
-- no version is forgotten, the most campaigns (and beyond those ms, versions); a version and a body for each entry.
local epoch = redis.call('GET', KEYS[1]) or '0'
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local ttl, most = tonumber(ARGV[1]), tonumber(ARGV[3])
for i = 4, #KEYS do
  local version, body = ARGV[2 * i - 4], ARGV[2 * i - 3]
  local known = redis.call('HMGET', KEYS[i], 'v', 'e', 'b')
  local old = known[1] and tonumber(known[1]) or -1
  local whole = known[3] and known[2] == epoch
  local newer = tonumber(version) > old or (body ~= '' and not whole and tonumber(version) == old)
  if newer then
    redis.call('HSET', KEYS[i], 'v', version, 'e', epoch)
    redis.call('PEXPIRE', KEYS[i], ttl)
    if body ~= '' then
      redis.call('HSET', KEYS[i], 'b', body)
      if known[1] and not known[3] then redis.call('ZREM', KEYS[3], KEYS[i]) end
      redis.call('ZADD', KEYS[2], now, KEYS[i])
    else
      if known[3] then
        redis.call('HDEL', KEYS[i], 'b')
        redis.call('ZREM', KEYS[2], KEYS[i])
      end
      redis.call('ZADD', KEYS[3], now, KEYS[i])
    end
  end
end
for i = 2, 3 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - ttl) end
local over = redis.call('ZCARD', KEYS[2]) - most
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], over)
  for i = 1, #oldest, 2 do
    redis.call('HDEL', oldest[i], 'b')
    redis.call('ZADD', KEYS[3], oldest[i + 1], oldest[i])
  end
end
over = redis.call('ZCARD', KEYS[3]) - most
if over > 0 then
  -- Each call adds fewer: they do not pile up.
  local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, math.min(over, 1000))
  for _, key in ipairs(old) do
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[3], key)
  end
end
return true
