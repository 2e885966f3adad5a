// Numbers as text: exact for programs, rounded for people.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <cstdint>
#include <string>

namespace joulefarm {

// The shortest decimal text that reads back as the same double; "0" for zero of either sign, "nan",
// "inf" and "-inf" for those.
std::string ShortestReal(double value);

// "0.00412 s", "1830 s": three digits at least, and none lost of whole seconds.
std::string SecondsText(double seconds);

// "41.7 MB", decimal units, three digits.
std::string HumanBytes(std::int64_t bytes);

}  // namespace joulefarm
