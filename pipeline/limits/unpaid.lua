-- Nobody has paid for an account, or its key is wrong: its orders go to the others for a while, if one is left that may do.
-- KEYS: 1 unpaid of the account   2… of the others of its pool
-- ARGV: 1 for how long, ms
-- Returns 1; or 0 when it is the last one, which is not passed over, so that whoever asks hears what is wrong.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for other = 2, #KEYS do
  if redis.call('EXISTS', KEYS[other]) == 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', now + ARGV[1]), 'PX', ARGV[1])
    return 1
  end
end
return 0
