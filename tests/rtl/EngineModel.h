//===- EngineModel.h - Drives a verilated matrix engine -----------*- C++ -*-===//
//
// One class for all shapes: `V` is what Verilator made of matrix_engine.sv. Commands are offered
// as soon as the engine takes them; memories answer in the same cycle, as the ports ask for.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace npucc::test {

/// engine_types::command_t.
struct EngineCommand {
  int64_t m, n, k, aBase, aStride, weightBase, accBase, outBase, outStride;
  bool clear, emit;
};

struct EngineRun {
  std::vector<int64_t> ends; ///< the first cycle after each command; the first one's issue is 0
  std::vector<int8_t> out;
  std::vector<std::vector<int32_t>> sums; ///< [accumulator row][column]
  bool overflow = false;
};

template <class V, int Rows, int Cols> class EngineModel {
public:
  /// `weights` as words of `loadBytes`; runs until the last command is done or `limit` cycles.
  EngineRun run(const std::vector<EngineCommand> &commands, const std::vector<int8_t> &a,
                const std::vector<int8_t> &weights, int64_t loadBytes, int64_t outElements,
                int64_t outBytes, int64_t accRows, int64_t limit) {
    V v;
    EngineRun result;
    result.out.assign(static_cast<size_t>(outBytes), 0);
    v.load_bytes = static_cast<uint16_t>(loadBytes);
    v.out_elements = static_cast<uint16_t>(outElements);
    v.command_valid = 0;
    v.reset = 1;
    for (int i = 0; i < 3 * (Rows + Cols); ++i) // also empties the skew registers
      clock(v);
    v.reset = 0;
    size_t next = 0;
    int64_t issue = -1;
    for (int64_t cycle = 0; cycle < limit && result.ends.size() < commands.size(); ++cycle) {
      v.command_valid = next < commands.size();
      if (next < commands.size())
        pack(v.command, commands[next]);
      v.clk = 0;
      v.eval();
      if (v.command_valid && v.command_ready) {
        if (next++ == 0)
          issue = cycle;
      }
      if (v.a_read)
        give(&v.a_data, Rows, a, v.a_address);
      if (v.weight_read)
        give(&v.weight_data, loadBytes, weights, v.weight_word * loadBytes);
      for (int64_t i = 0; i < v.write_count; ++i)
        result.out.at(v.write_address + static_cast<size_t>(i)) =
            static_cast<int8_t>(reinterpret_cast<const uint8_t *>(&v.write_data)[i]);
      if (v.done)
        result.ends.push_back(cycle + 1 - issue);
      result.overflow |= v.overflow;
      v.clk = 1;
      v.eval();
    }
    for (int64_t row = 0; row < accRows; ++row) {
      v.peek_row = static_cast<uint16_t>(row);
      v.eval();
      result.sums.emplace_back(Cols);
      std::memcpy(result.sums.back().data(), &v.peek_data, 4 * Cols);
    }
    v.final();
    return result;
  }

private:
  static void clock(V &v) {
    v.clk = 0;
    v.eval();
    v.clk = 1;
    v.eval();
  }
  /// Bytes of a memory; what lies beyond its end is rubbish that the engine must not use.
  static void give(void *port, int64_t count, const std::vector<int8_t> &memory, int64_t at) {
    for (int64_t i = 0; i < count; ++i) {
      auto index = static_cast<size_t>(at + i);
      static_cast<uint8_t *>(port)[i] =
          index < memory.size() ? static_cast<uint8_t>(memory[index]) : 0xa5;
    }
  }
  /// Fields of a packed struct, the last one in the lowest bits.
  template <class Wide> static void pack(Wide &port, const EngineCommand &c) {
    std::vector<bool> bits;
    auto put = [&](int64_t value, int width) {
      for (int i = 0; i < width; ++i)
        bits.push_back(value >> i & 1);
    };
    put(c.emit, 1);
    put(c.clear, 1);
    put(c.outStride, 32);
    put(c.outBase, 32);
    put(c.accBase, 16);
    put(c.weightBase, 32);
    put(c.aStride, 32);
    put(c.aBase, 32);
    for (int64_t extent : {c.k, c.n, c.m})
      put(extent, 16);
    uint32_t words[(226 + 31) / 32] = {};
    static_assert(sizeof words == sizeof(Wide));
    for (size_t i = 0; i < bits.size(); ++i)
      words[i / 32] |= static_cast<uint32_t>(bits[i]) << i % 32;
    std::memcpy(&port, words, sizeof words);
  }
};

} // namespace npucc::test
