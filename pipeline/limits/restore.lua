-- Write the leases that the rows in flight prove, give every lease a fresh end, count anew who holds what, and open the pool.
-- ARGV: 2 the slots as JSON: [[account, holder, who, accepted (0 or 1), held for ms] …]   3 account -> learned limit, as JSON
-- Returns {'restored', '', 0, 0}
local proven = cjson.decode(ARGV[2])
for _, slot in ipairs(proven) do
  local asset = asset_of(slot[2])
  redis.call('ZADD', key('slots', slot[1]), now + pool.lease, slot[2])
  redis.call('HSET', key('who'), asset, slot[3])
  redis.call('HSETNX', key('since'), asset, string.format('%.0f', now - slot[5]))
  if slot[4] == 1 then redis.call('ZADD', key('live', slot[1]), 0, slot[2]) end
end
for _, account in ipairs(pool.accounts) do
  for _, holder in ipairs(redis.call('ZRANGE', key('slots', account.name), 0, -1)) do
    redis.call('ZADD', key('slots', account.name), now + pool.lease, holder)
  end
end
for _, field in ipairs(redis.call('HKEYS', key('shares'))) do
  if string.sub(field, 1, 5) == 'held:' then redis.call('HSET', key('shares'), field, 0) end
end
local function counted_again(asset)
  local who = known(asset)
  if who then held(who, 1) end
end
for _, account in ipairs(pool.accounts) do
  for _, holder in ipairs(redis.call('ZRANGE', key('slots', account.name), 0, -1)) do counted_again(asset_of(holder)) end
  for _, asset in ipairs(redis.call('ZRANGE', key('reserved', account.name), 0, -1)) do counted_again(asset) end
end
for _, owner in ipairs(redis.call('ZRANGE', key('owners'), 0, -1)) do
  for _, job in ipairs(redis.call('ZRANGE', key('jobs', owner), 0, -1)) do rescored(owner, job) end
end
for name, slots in pairs(cjson.decode(ARGV[3])) do redis.call('HSETNX', key('learned', name), 'slots', slots) end
redis.call('SET', key('ready'), '1')
return {'restored', '', 0, 0}
