-- The free call was made: the breaker closes, or opens for longer.
-- KEYS: 1 the breaker   2 models of the account whose breakers are open
-- ARGV: 1 answered (1) or not (0)   2 first pause ms   3 longest pause ms   4 how long an opening is remembered, ms   5 model
-- Returns for how long it is open, in ms; 0: it is closed.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HDEL', KEYS[1], 'probed_until')
if ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'opened_until', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('SREM', KEYS[2], ARGV[5])
  return 0
end
local openings = redis.call('HINCRBY', KEYS[1], 'openings', 1)
local pause = math.min(ARGV[2] * 2 ^ (openings - 1), ARGV[3])
redis.call('HSET', KEYS[1], 'opened_until', string.format('%.0f', now + pause))
redis.call('PEXPIRE', KEYS[1], pause + ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[3] + ARGV[4])
return pause
