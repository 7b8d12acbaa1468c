// The one way in which the addon reports a failure: a code of src/errors.ts and a clause that says what is wrong.
// Thrown anywhere on the JavaScript thread, turned into a JavaScript error in addon.cc; never crosses a thread or a C
// interface.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <string>

namespace bptt {

struct Fault {
  const char *code;
  std::string text;
};

[[noreturn]] __attribute__((format(printf, 2, 3))) inline void fail(const char *code, const char *format, ...) {
  char text[400];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  va_end(values);
  throw Fault{code, text};
}

}  // namespace bptt
