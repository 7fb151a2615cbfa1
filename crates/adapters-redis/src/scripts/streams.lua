-- What the scripts about outbound streams share.

-- The last id that a stream has ever given, also when its entries were trimmed.
local function top_of(stream)
  if redis.call('EXISTS', stream) == 0 then return '0-0' end
  local about = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then return about[i + 1] end
  end
end

local function split(id)
  local position, k = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(position), tonumber(k)
end
