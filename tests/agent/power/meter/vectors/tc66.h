// Replies of a RuiDeng TC66.
//
// Threads: any. Ownership: values.
#pragma once

#include <openssl/evp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/power/meter/checksum.h"
#include "agent/power/meter/tc66.h"
#include "tests/agent/power/meter/meter_case.h"

namespace joulefarm::agent::tc66 {

// Read from a real TC66: shared/design/meters.md, section 6.
inline constexpr const char* kReal =
    "006630928cdbb01e307647693bac80b012a60ec3c8645b9af0ead3c57ae5a0628f330593ff8f836a2a36d60f8709fc"
    "4f"
    "c5ec277ef1b0dbb4815a9497d8646eb206f404f8061c1177e994f37dfc6f4dab07385ea4d05c1e32616e88527b57d3"
    "10"
    "6babf8c170d31db582db234384fa559313e92b412f6af4e16e09168c608fba0a4231f411e56f5c203c590b4a68fd5b"
    "09"
    "2aca6ec4a4554d5542e8674b097e259c2aca6ec4a4554d5542e8674b097e259ce09c4004c92da948c3165eebdb8b9e"
    "c2";
inline constexpr const char* kKey =
    "5821fa5601b2f02687ff1204622a4fb086f40260816f9a0ba7f106619ab87288";

inline void Put(Frame& plain, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) plain[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

struct Numbers {
  std::uint32_t volts_1e4 = 200000;
  std::uint32_t amps_1e5 = 325000;
  std::uint32_t watts_1e4 = 650000;
  std::uint32_t negative = 0;
  std::uint32_t temperature = 41;
  const char* model = "TC66";
  int wrong_crc = -1;  // of this packet
};

// With check sums, encrypted; `wrong_crc`: the packet whose sum is wrong.
inline Frame Sealed(Frame plain, int wrong_crc) {
  plain.resize(192);
  for (int packet = 0; packet < 3; ++packet) {
    const std::size_t at = static_cast<std::size_t>(packet) * 64;
    const std::uint16_t crc = Crc16Modbus(Bytes(plain).subspan(at, 60));
    Put(plain, at + 60, packet == wrong_crc ? crc ^ 1U : crc);
  }
  const std::vector<std::uint8_t> key = FromHex(kKey);
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  Frame bytes(plain.size());
  int size = 0;
  const bool done =
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_ecb(), nullptr, key.data(), nullptr) == 1 &&
      EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
      EVP_EncryptUpdate(context.get(), bytes.data(), &size, plain.data(),
                        static_cast<int>(plain.size())) == 1;
  return done && size == 192 ? bytes : Frame();
}

inline Frame Plain(const Numbers& of) {
  Frame plain(192);
  for (std::size_t packet = 0; packet < 3; ++packet) {
    const std::string name = "pac" + std::to_string(packet + 1);
    std::copy(name.begin(), name.end(), plain.begin() + static_cast<std::ptrdiff_t>(packet * 64));
  }
  const std::string model = std::string(of.model) + "1.14";
  std::copy(model.begin(), model.end(), plain.begin() + 4);
  Put(plain, 12, 4711);
  Put(plain, 44, 17);
  Put(plain, 48, of.volts_1e4);
  Put(plain, 52, of.amps_1e5);
  Put(plain, 56, of.watts_1e4);
  Put(plain, 64 + 4, 62);
  Put(plain, 64 + 8, 1000);
  Put(plain, 64 + 12, 5000);
  Put(plain, 64 + 16, 70000);
  Put(plain, 64 + 20, 80000);
  Put(plain, 64 + 24, of.negative);
  Put(plain, 64 + 28, of.temperature);
  Put(plain, 64 + 32, 60);
  Put(plain, 64 + 36, 330);
  return plain;
}

inline Frame Encrypted(const Numbers& of) { return Sealed(Plain(of), of.wrong_crc); }

inline MutationCase Case() {
  return {.make = Tc66Model().make_decoder,
          .frames = {FromHex(kReal), Encrypted({}),
                     Encrypted({.volts_1e4 = 0, .amps_1e5 = 0, .watts_1e4 = 0, .negative = 1})},
          .stream = true,
          .max_voltage_v = 32,
          .max_current_a = 6,
          .finish_refuses = true,
          .seal = [](Frame plain) { return Sealed(std::move(plain), -1); },
          .unsealed = {Plain({}), Plain({.volts_1e4 = 51609, .amps_1e5 = 1990, .watts_1e4 = 1026})},
          .sample_bytes = 192,
          .word_bytes = 4};
}

}  // namespace joulefarm::agent::tc66
