// Fake time for the whole farm: what happens next, in order, and the one seeded source of chance.
//
// Thread rule: one thread. Everything that waits is a closure in the queue; nothing sleeps.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>

namespace joulefarm::sim {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  std::int64_t now() const { return now_; }

  void After(std::int64_t delay_ns, std::function<void()> what) {
    queue_.emplace(std::make_pair(now_ + delay_ns, ++order_), std::move(what));
  }

  // Runs what is due up to `end_ns`, or until `done`.
  void RunUntil(std::int64_t end_ns, const std::function<bool()>& done) {
    while (!queue_.empty() && queue_.begin()->first.first <= end_ns && !done()) {
      auto node = queue_.extract(queue_.begin());
      now_ = node.key().first;
      node.mapped()();
    }
    if (!done()) now_ = end_ns;
  }

  // In [low, high].
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool Chance(double p) { return Fraction() < p; }
  double Fraction() { return static_cast<double>(random_() >> 11) / 9007199254740992.0; }

 private:
  std::int64_t now_ = 0;
  std::uint64_t order_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> queue_;
  std::mt19937_64 random_;
};

}  // namespace joulefarm::sim
