-- Take places in line, give them up, or give slots back; then whoever's turn it is gets what is free.
-- ARGV: 2 what to do first, as JSON: {enter: {asset: who …}, leave: [asset …], release: [[account, holder] …]}
-- Returns {'turned', why the next waits, wait, alarm, assets to wake …}
local first_of_all = cjson.decode(ARGV[2])
lapsed()
for _, slot in ipairs(first_of_all.release or {}) do
  let_go(slot[1], slot[2])
end
for _, asset in ipairs(first_of_all.leave or {}) do
  local who = known(asset)
  if who then
    local reserved = reservation(asset)
    if reserved then unreserved(reserved, asset, who) end
    redis.call('ZREM', key('assets', who.job), asset)
    if not redis.call('HGET', key('since'), asset) then redis.call('HDEL', key('who'), asset) end
    rescored(who.owner, who.job)
  end
end
for _, entry in ipairs(first_of_all.enter or {}) do
  if not reservation(entry[1]) then
    redis.call('HSET', key('who'), entry[1], entry[2])
    lined_up(entry[1], known(entry[1]))
  end
end
local heads, why, wait = give()
return told('turned', why, heads, wait)
