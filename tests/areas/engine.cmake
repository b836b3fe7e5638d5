# Engine, model and compute pool.
tenon_unit_test(threads)
tenon_unit_test(sampler)
tenon_unit_test(stream)
tenon_unit_test(kvpages)
tenon_unit_test(engine ${CMAKE_CURRENT_SOURCE_DIR}/unit/fake_plugins.c)
