//===- Container.cpp - Reads and writes .npu files ------------------------===//
//
// Layout, little-endian: the magic "NPUCCPRG", u32 version, u32 number of sections; then
// per section 4 letters, u32 zero, u64 length, u64 xxh3 of the contents; then the contents
// in the same order, each at a multiple of 64 bytes. META: names and figures. CODE: streams
// and commands. TENS: tensors, recipes, layers. BLOB: bytes of constant tensors, used in
// place.
//
//===----------------------------------------------------------------------===//

#include "runtime/program/Fields.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace npucc;

namespace {

constexpr llvm::StringLiteral kMagic = "NPUCCPRG";
constexpr unsigned kSections = 4;
constexpr const char *kTags[kSections] = {"META", "CODE", "TENS", "BLOB"};
constexpr size_t kHeaderBytes = 16, kEntryBytes = 24;

size_t aligned(size_t offset) {
  return (offset + kBlobAlignment - 1) / kBlobAlignment * kBlobAlignment;
}

template <class A> void meta(A &ar, Program &p) {
  io(ar, p.modelName);
  io(ar, p.modelSha256);
  io(ar, p.machineName);
  io(ar, p.machineYaml);
  io(ar, p.precision);
  io(ar, p.batch);
  io(ar, p.parameters);
  io(ar, p.macs);
  io(ar, p.estimatedCycles);
  io(ar, p.assumptions);
  io(ar, p.dramBytes);
  io(ar, p.spmBytes);
  io(ar, p.accBytes);
}

template <class A> void code(A &ar, Program &p) {
  io(ar, p.streams);
  io(ar, p.loops);
  io(ar, p.rings);
  io(ar, p.semaphores);
  io(ar, p.commands);
  io(ar, p.dma);
  io(ar, p.matrix);
  io(ar, p.vector);
  io(ar, p.gather);
  io(ar, p.host);
  io(ar, p.hostNodes);
}

template <class A> void tensors(A &ar, Program &p) {
  io(ar, p.tensors);
  io(ar, p.recipes);
  io(ar, p.layers);
}

llvm::Error badFile(const std::string &path, const llvm::Twine &why) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), llvm::Twine(path) + ": " + why);
}

void appendInt(std::string &out, uint64_t value, unsigned bytes) {
  out.append(reinterpret_cast<const char *>(&value), bytes);
}

uint64_t readInt(llvm::ArrayRef<uint8_t> bytes, size_t offset, unsigned size) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, size);
  return value;
}

/// The sections' contents, checked against lengths and checksums.
llvm::Error split(const std::string &path, llvm::ArrayRef<uint8_t> file,
                  llvm::ArrayRef<uint8_t> (&sections)[kSections]) {
  if (file.size() < kHeaderBytes ||
      llvm::StringRef(reinterpret_cast<const char *>(file.data()), kMagic.size()) != kMagic)
    return badFile(path, "not an npucc program (.npu)");
  uint64_t version = readInt(file, 8, 4);
  if (version != Program::kVersion)
    return badFile(path, "program format " + llvm::Twine(version) + ", this build reads format " +
                             llvm::Twine(Program::kVersion) + "; compile the model again");
  if (readInt(file, 12, 4) != kSections || file.size() < kHeaderBytes + kSections * kEntryBytes)
    return badFile(path, "damaged section table");
  size_t offset = aligned(kHeaderBytes + kSections * kEntryBytes);
  for (unsigned s = 0; s < kSections; ++s) {
    size_t entry = kHeaderBytes + s * kEntryBytes;
    uint64_t length = readInt(file, entry + 8, 8);
    if (std::memcmp(file.data() + entry, kTags[s], 4) || readInt(file, entry + 4, 4))
      return badFile(path, "damaged section table");
    if (offset > file.size() || length > file.size() - offset)
      return badFile(path, llvm::Twine("the file ends inside section ") + kTags[s]);
    sections[s] = file.slice(offset, length);
    if (llvm::xxh3_64bits(sections[s]) != readInt(file, entry + 16, 8))
      return badFile(path, llvm::Twine("section ") + kTags[s] + " is damaged (checksum)");
    offset = aligned(offset + length);
  }
  return llvm::Error::success();
}

} // namespace

llvm::Error npucc::writeProgram(const Program &program, const std::string &path) {
  // Writing only reads the records; one description for both directions costs the const.
  auto &p = const_cast<Program &>(program);
  Writer writer;
  std::string contents[3];
  meta(writer, p);
  contents[0].swap(writer.bytes);
  code(writer, p);
  contents[1].swap(writer.bytes);
  tensors(writer, p);
  contents[2].swap(writer.bytes);

  std::string blob;
  blob.reserve(writer.blobBytes);
  for (const Tensor &tensor : writer.blobs) {
    blob.append(reinterpret_cast<const char *>(tensor.data()), tensor.byteSize());
    blob.resize(aligned(blob.size()));
  }

  llvm::StringRef sections[kSections] = {contents[0], contents[1], contents[2], blob};
  std::string header = kMagic.str();
  appendInt(header, Program::kVersion, 4);
  appendInt(header, kSections, 4);
  for (unsigned s = 0; s < kSections; ++s) {
    header += kTags[s];
    appendInt(header, 0, 4);
    appendInt(header, sections[s].size(), 8);
    appendInt(header, llvm::xxh3_64bits(sections[s]), 8);
  }
  header.resize(aligned(header.size()));
  llvm::Error error = llvm::writeToOutput(path, [&](llvm::raw_ostream &out) {
    out << header;
    for (unsigned s = 0; s < kSections; ++s) {
      out << sections[s];
      if (s + 1 < kSections)
        out.write_zeros(aligned(sections[s].size()) - sections[s].size());
    }
    return llvm::Error::success();
  });
  if (error)
    return badFile(path, "cannot write: " + llvm::toString(std::move(error)));
  return llvm::Error::success();
}

llvm::Expected<Program> npucc::readProgram(const std::string &path) {
  auto opened = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false,
                                            /*IsVolatile=*/false, llvm::Align(kBlobAlignment));
  if (!opened)
    return badFile(path, "cannot open: " + opened.getError().message());
  return parseProgram(std::move(*opened));
}

llvm::Expected<Program> npucc::parseProgram(std::unique_ptr<llvm::MemoryBuffer> owned) {
  std::shared_ptr<const llvm::MemoryBuffer> buffer = std::move(owned);
  std::string path = buffer->getBufferIdentifier().str();
  llvm::ArrayRef<uint8_t> file(reinterpret_cast<const uint8_t *>(buffer->getBufferStart()),
                               buffer->getBufferSize());
  llvm::ArrayRef<uint8_t> sections[kSections];
  if (llvm::Error error = split(path, file, sections))
    return llvm::Expected<Program>(std::move(error));

  Program program;
  for (unsigned s = 0; s + 1 < kSections; ++s) {
    Reader reader(sections[s], sections[3], buffer);
    if (s == 0)
      meta(reader, program);
    else if (s == 1)
      code(reader, program);
    else
      tensors(reader, program);
    if (!reader.failed() && reader.left())
      reader.fail("there is more in it than expected");
    if (reader.failed())
      return badFile(path, llvm::Twine("section ") + kTags[s] + ": " + reader.reason());
  }
  if (llvm::Error error = validate(program, program.spmBytes, program.accBytes))
    return badFile(path, llvm::toString(std::move(error)));
  return program;
}
