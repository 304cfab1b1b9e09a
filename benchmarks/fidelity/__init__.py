"""Is a TD3 the published one?"""
