# Engine, model and compute pool.
tenon_unit_test(threads)
