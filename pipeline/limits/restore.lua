-- Write the leases that the rows in flight prove, with a fresh end, and open the account for new ones.
-- KEYS: 1 ready   2 slots
-- ARGV: 1 lease ms   2… holders
local clock = redis.call('TIME')
local until_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[2], until_ms, ARGV[i])
end
redis.call('SET', KEYS[1], '1')
return #ARGV - 1
