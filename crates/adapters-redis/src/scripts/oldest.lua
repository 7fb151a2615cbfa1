-- The lowest id that the group has not dealt with: pending, or not handed out yet. Nil if there is none.
-- KEYS: the stream. ARGV: group.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local first = '-'
local lowest = false
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for i = 1, #group, 2 do about[group[i]] = group[i + 1] end
  if about['name'] == ARGV[1] then
    first = '(' .. about['last-delivered-id']
    lowest = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
  end
end
-- Whatever is pending was handed out before all that was not, unless an operator has moved the group.
if lowest then return lowest end
local unread = redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', 1)
return unread[1] and unread[1][1]
