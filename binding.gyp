# Builds the native addon: one static library for each instruction set and arithmetic class, so that no code compiled for a newer
# processor can be shared with an older one's, and the addon proper, which picks a table at load (native/addon/dispatch.cc).
{
  'variables': {
    # The only fused operation is the one that simd.h asks for: docs/numerics.md.
    'numerics': ['-ffp-contract=off', '-fno-fast-math', '-fno-math-errno'],
    # What no kernel needs: it throws nothing, and is not called by what does.
    'lean': ['-fno-exceptions', '-fno-asynchronous-unwind-tables', '-fno-unwind-tables', '-falign-functions=1', '-falign-jumps=1', '-falign-labels=1'],
    'avx512': ['-mavx512f', '-mavx512vl', '-mavx512bw', '-mavx512dq', '-mfma', '-mprfchw', '-mprefer-vector-width=512'],
  },
  'target_defaults': {
    # Kernels unroll where they say so; more than that is size alone. Node's own settings ask for -O3.
    'configurations': {'Release': {'cflags!': ['-O3'], 'cflags': ['-O2']}},
    'cflags': [
      '-Wall', '-Wextra', '-fvisibility=hidden', '-ffunction-sections', '-fdata-sections', '-fstack-protector-strong',
      '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2', '<@(numerics)',
    ],
    # Node 20's common.gypi sets the standard after us, so its choice is removed.
    'cflags_cc!': ['-std=gnu++17'],
    'cflags_cc': ['-std=gnu++20', '-fvisibility-inlines-hidden'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++20', 'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES', 'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CFLAGS': ['<@(numerics)'],
    },
  },
  'targets': [
    {
      'target_name': 'bptt',
      # Glue: its time goes into checks and waiting, and into the kernels that it calls. All symbols are bound at load (-z now).
      'configurations': {'Release': {'cflags!': ['-O2'], 'cflags': ['-Os', '-fno-plt']}},
      'sources': [
        'native/addon/addon.cc', 'native/addon/dispatch.cc', 'native/addon/engine.cc', 'native/addon/floor.cc',
        'native/addon/frames.cc', 'native/addon/fused.cc', 'native/addon/handle.cc', 'native/addon/interpreter.cc',
        'native/addon/operands.cc', 'native/addon/pool.cc', 'native/addon/prepare.cc', 'native/addon/program.cc',
        'native/addon/quota.cc', 'native/addon/reading.cc', 'native/addon/regions.cc', 'native/addon/runner.cc',
      ],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_DEPRECATED', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      'dependencies': ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      'conditions': [
        ['target_arch=="x64"', {
          'dependencies': [
            'kernels_avx512_fma', 'kernels_avx512_muladd', 'kernels_avx2_fma', 'kernels_avx2_muladd', 'kernels_sse2_muladd',
          ],
        }],
        ['target_arch=="arm64"', {'dependencies': ['kernels_neon_fma', 'kernels_neon_muladd']}],
        ['OS=="linux"', {
          'ldflags': ['-s', '-Wl,--exclude-libs,ALL', '-Wl,--gc-sections', '-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,noseparate-code'],
        }],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'kernels_avx512_fma', 'type': 'static_library', 'sources': ['native/isa/avx512_fma.cc'],
          'cflags': ['<@(lean)', '<@(avx512)'], 'xcode_settings': {'OTHER_CFLAGS': ['<@(avx512)']},
        },
        {
          'target_name': 'kernels_avx512_muladd', 'type': 'static_library', 'sources': ['native/isa/avx512_muladd.cc'],
          'cflags': ['<@(lean)', '<@(avx512)'], 'xcode_settings': {'OTHER_CFLAGS': ['<@(avx512)']},
        },
        {
          'target_name': 'kernels_avx2_fma', 'type': 'static_library', 'sources': ['native/isa/avx2_fma.cc'],
          'cflags': ['<@(lean)', '-mavx2', '-mfma', '-mprfchw'], 'xcode_settings': {'OTHER_CFLAGS': ['-mavx2', '-mfma', '-mprfchw']},
        },
        {
          'target_name': 'kernels_avx2_muladd', 'type': 'static_library', 'sources': ['native/isa/avx2_muladd.cc'],
          'cflags': ['<@(lean)', '-mavx2', '-mprfchw'], 'xcode_settings': {'OTHER_CFLAGS': ['-mavx2', '-mprfchw']},
        },
        {'target_name': 'kernels_sse2_muladd', 'type': 'static_library', 'sources': ['native/isa/sse2_muladd.cc'], 'cflags': ['<@(lean)']},
      ],
    }],
    ['target_arch=="arm64"', {
      'targets': [
        {'target_name': 'kernels_neon_fma', 'type': 'static_library', 'sources': ['native/isa/neon_fma.cc'], 'cflags': ['<@(lean)']},
        {'target_name': 'kernels_neon_muladd', 'type': 'static_library', 'sources': ['native/isa/neon_muladd.cc'], 'cflags': ['<@(lean)']},
      ],
    }],
  ],
}
