-- Takes one from a limit, if one is left: the generic cell rate algorithm in the server's own time, unless another is
-- given. All times in microseconds; what is kept is the time at which the limit will be at rest again.
-- KEYS: the limit. ARGV: the time between two, the burst, the time or ''. Answers 0, or how long to wait.
local now, spare = tonumber(ARGV[3]), 60000
if not now then
  local clock = redis.call('TIME')
  now, spare = tonumber(clock[1]) * 1000000 + tonumber(clock[2]), 0
end
local between = tonumber(ARGV[1])
local rest = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + between
local wait = rest - now - between * tonumber(ARGV[2])
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', rest), 'PX', math.ceil((rest - now) / 1000) + spare)
return 0
