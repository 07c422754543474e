-- May this take of an asset buy a prediction now? If not, one place in line is kept for it until it may.
-- ARGV: 2 holder   3 asset   4 who: owner|job|model|owner's weight|job's weight|index
-- Returns {word, detail, wait, alarm, assets to wake …}: granted (detail: account) | busy (detail: reason) | lost
lapsed()
local holder, asset = ARGV[2], ARGV[3]
for _, account in ipairs(pool.accounts) do
  if redis.call('ZSCORE', key('slots', account.name), holder) then
    return told('granted', account.name, {}, 0)
  end
end

local function without(heads)
  local others = {}
  for _, head in ipairs(heads) do
    if head ~= asset then others[#others + 1] = head end
  end
  return others
end

local reserved = reservation(asset)
local heads, why, wait = {}, nil, 0
if not reserved then
  redis.call('HSET', key('who'), asset, ARGV[4])
  lined_up(asset, known(asset))
  heads, why, wait = give()
  reserved = reservation(asset)
end
if not reserved then
  return told('busy', why, without(heads), wait)
end
local who = known(asset)
local pause, said = paused(reserved)
if pause > 0 then
  unreserved(reserved, asset, who)
  lined_up(asset, who)
  return told('busy', said, without(heads), pause)
end
redis.call('ZREM', key('reserved', reserved.name), asset)
redis.call('ZADD', key('slots', reserved.name), now + pool.lease, holder)
redis.call('HSET', key('since'), asset, string.format('%.0f', now))
-- A reservation that was taken up makes room for the next.
local more, _, later = give()
for _, head in ipairs(more) do heads[#heads + 1] = head end
return told('granted', reserved.name, without(heads), later)
