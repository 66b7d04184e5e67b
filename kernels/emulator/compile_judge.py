def missing(): return []
