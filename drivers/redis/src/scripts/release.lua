-- KEYS: lock. ARGV: token, channel of the lock.
local lock = lock_of(KEYS[1])
if not lock then return foreign(KEYS[1]) end
if not lock.e or digits(lock.t) ~= ARGV[1] then return 0 end
free(KEYS[1])
tell(ARGV[2], '', 'f', '')
return 1
