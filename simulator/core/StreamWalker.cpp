//===- StreamWalker.cpp - Walks the hardware loops of a stream ----------------===//

#include "simulator/core/StreamWalker.h"

#include <algorithm>

namespace npucc {

namespace {

bool numbered(const Instruction &instruction) {
  return instruction.kind == Instruction::Kind::Run || instruction.kind == Instruction::Kind::Wait;
}

} // namespace

std::vector<int64_t> firstNumbers(const Program &program) {
  std::vector<int64_t> result;
  int64_t number = 0;
  for (const Stream &stream : program.streams) {
    result.push_back(number);
    number += std::count_if(stream.code.begin(), stream.code.end(), numbered);
  }
  return result;
}

StreamWalker::StreamWalker(const Program &program, size_t index, int64_t firstNumber, int64_t drop)
    : program(program), stream(program.streams[index]), dropped(stream.code.size()) {
  current.loopValues.assign(program.loops.size(), 0);
  current.ringCounts.assign(program.rings.size(), 0);
  partner.assign(stream.code.size(), 0);
  std::vector<size_t> open;
  double repeats = 1, count = 0;
  std::vector<double> outer;
  for (size_t i = 0; i < stream.code.size(); ++i) {
    const Instruction &instruction = stream.code[i];
    if (numbered(instruction) && firstNumber++ == drop)
      dropped = i;
    if (instruction.kind == Instruction::Kind::LoopBegin) {
      open.push_back(i);
      outer.push_back(repeats);
      repeats *= static_cast<double>(std::max<int64_t>(0, program.loops[instruction.index].trips));
    } else if (instruction.kind == Instruction::Kind::LoopEnd && !open.empty()) {
      partner[i] = open.back();
      partner[open.back()] = i;
      open.pop_back();
      repeats = outer.back();
      outer.pop_back();
    } else if (instruction.kind == Instruction::Kind::Run) {
      count += repeats;
    }
  }
  runs = static_cast<int64_t>(std::min(count, 9e15));
}

const Instruction *StreamWalker::next() {
  while (pc < stream.code.size()) {
    const Instruction &instruction = stream.code[pc];
    at = pc++;
    switch (instruction.kind) {
    case Instruction::Kind::LoopBegin:
      current.loopValues[instruction.index] = 0;
      if (program.loops[instruction.index].trips <= 0)
        pc = partner[at] + 1;
      break;
    case Instruction::Kind::LoopEnd: {
      int64_t &value = current.loopValues[instruction.index];
      if (++value < program.loops[instruction.index].trips)
        pc = partner[at] + 1;
      break;
    }
    case Instruction::Kind::Advance:
      ++current.ringCounts[instruction.index];
      break;
    case Instruction::Kind::Run:
    case Instruction::Kind::Wait:
      if (at == dropped)
        break;
      return &instruction;
    case Instruction::Kind::Signal:
      return &instruction;
    }
  }
  return nullptr;
}

} // namespace npucc
