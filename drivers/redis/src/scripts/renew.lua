-- KEYS: lock. ARGV: token, ttl, channel of the lock.
local now = clock()
local lock = lock_of(KEYS[1])
if not lock then return foreign(KEYS[1]) end
if not lock.e or digits(lock.t) ~= ARGV[1] then return 0 end
lock.e = now + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'e', digits(lock.e))
hold(KEYS[1], lock.e)
tell_held(ARGV[3], lock, now, redis.call('HGET', KEYS[1], 'h'))
return 1
