-- One more call was answered: by the provider, or by its failing. Enough failures open the breaker.
-- KEYS: 1 the breaker (opened_until ms, probed_until ms, openings, failures)   2 calls of this kind (newest first, "failed:ms")
--       3 calls of the other kind   4 models of the account whose breakers are open
-- ARGV: 1 failed (1) or not (0)   2 paid (1) or free (0)   3 window ms   4 calls that make a share   5 failures in a row
--       6 first pause ms   7 longest pause ms   8 how long an opening is remembered, ms   9 model
-- Returns for how long it was opened now, in ms; 0: it was not.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local window, least, most_in_a_row = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if tonumber(redis.call('HGET', KEYS[1], 'opened_until') or '0') > 0 then
  return 0
end
redis.call('LPUSH', KEYS[2], ARGV[1] .. ':' .. string.format('%.0f', now))
redis.call('LTRIM', KEYS[2], 0, 2 * least - 1)
redis.call('PEXPIRE', KEYS[2], window)
if ARGV[1] == '0' then
  -- Only a paid call proves that orders go through again: the next outage begins with a short pause.
  if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
  return 0
end
local calls, failures, in_a_row = 0, 0, 0
for _, call in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if tonumber(string.sub(call, 3)) < now - window then break end
  calls = calls + 1
  if string.sub(call, 1, 1) == '1' then failures = failures + 1 end
  if failures == calls then in_a_row = calls end
end
if in_a_row < most_in_a_row and (calls < least or failures * 2 < calls) then
  return 0
end
local openings = redis.call('HINCRBY', KEYS[1], 'openings', 1)
local pause = math.min(ARGV[6] * 2 ^ (openings - 1), ARGV[7])
redis.call('HSET', KEYS[1], 'opened_until', string.format('%.0f', now + pause), 'failures', failures)
redis.call('PEXPIRE', KEYS[1], pause + ARGV[8])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('SADD', KEYS[4], ARGV[9])
redis.call('PEXPIRE', KEYS[4], ARGV[7] + ARGV[8])
return pause
