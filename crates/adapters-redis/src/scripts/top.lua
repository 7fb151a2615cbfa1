-- How far the world was told, after a look at whether it still has what it was told. The rules are in `publisher.rs`.
-- KEYS: the mark, the streams. ARGV: the names of the streams.
-- Answers {'ok', position, what it was before, the fact there or ''}, or {'foreign', stream, id, ''}.
local function less(a, b)
  local ap, ak = split(a)
  local bp, bk = split(b)
  return ap < bp or (ap == bp and ak < bk)
end

local mark = KEYS[1]
local told = redis.call('HGET', mark, 'position')
local position = tonumber(told or '0')
local changes = {}
for i = 2, #KEYS do
  local name = ARGV[i - 1]
  local top, known = top_of(KEYS[i]), redis.call('HGET', mark, name) or '0-0'
  if top ~= known then
    local last = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)[1]
    if last then
      local owner = ''
      for f = 1, #last[2], 2 do
        if last[2][f] == 'position' then owner = last[2][f + 1] end
      end
      if string.match(last[1], '^%d+') ~= owner then return {'foreign', KEYS[i], last[1], ''} end
    end
    if less(top, known) then position = math.min(position, (split(top))) end
    changes[#changes + 1] = name
    changes[#changes + 1] = top
  end
end
if #changes > 0 then
  redis.call('HSET', mark, 'position', string.format('%.0f', position), unpack(changes))
end
if position ~= tonumber(told or '0') then redis.call('HDEL', mark, 'fact') end
return {'ok', string.format('%.0f', position), told or '0', redis.call('HGET', mark, 'fact') or ''}
