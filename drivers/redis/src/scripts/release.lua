-- KEYS: lock. ARGV: token, channel of the lock.
local lock = lock_of(KEYS[1])
if not lock then return foreign(KEYS[1]) end
if not lock.e or digits(lock.t) ~= ARGV[1] then return 0 end
local no = mute(ARGV[2])
if no then return no end
free(KEYS[1])
tell(ARGV[2], '', told_free(lock.t), '')
return 1
