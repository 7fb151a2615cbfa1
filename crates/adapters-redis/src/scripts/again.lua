-- Takes the entries of an outbound stream away, so that they are told again. Its groups stay, and read on from before what
-- they have not dealt with, or from before what is missing, whichever comes first. All at once: nobody publishes in between.
-- KEYS: the stream. ARGV: the first position that is missing something.
local function less(a, b)
  local ap, ak = split(a)
  local bp, bk = split(b)
  return ap < bp or (ap == bp and ak < bk)
end

-- Numbers this large are told apart as texts only.
local function before(id)
  local position, k = split(id)
  if k > 0 then return string.format('%.0f-%.0f', position, k - 1) end
  return string.format('%.0f-18446744073709551615', math.max(position - 1, 0))
end

local stream, groups = KEYS[1], {}
if redis.call('EXISTS', stream) == 0 then return 0 end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local about = {}
  for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
  local from = before(ARGV[1] .. '-0')
  if less(about['last-delivered-id'], from) then from = about['last-delivered-id'] end
  local lowest = redis.call('XPENDING', stream, about['name'])[2]
  if lowest and not less(from, lowest) then from = before(lowest) end
  groups[#groups + 1] = {about['name'], from}
end
redis.call('UNLINK', stream)
for _, group in ipairs(groups) do
  redis.call('XGROUP', 'CREATE', stream, group[1], group[2], 'MKSTREAM')
end
return #groups
