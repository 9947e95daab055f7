// What Zig's library is used for: hashed maps, sorting, JSON, a digest, big integers and formatted output.
const std = @import("std");

const Word = struct { name: []const u8, count: u32 };

fn before(_: void, a: Word, b: Word) bool {
    return if (a.count == b.count) std.mem.lessThan(u8, a.name, b.name) else a.count > b.count;
}

pub fn main(init: std.process.Init) !void {
    const memory = init.arena.allocator();
    var in_buffer: [512]u8 = undefined;
    var in: std.Io.File.Reader = .init(.stdin(), init.io, &in_buffer);
    const text = try in.interface.allocRemaining(memory, .limited(1 << 20));

    var counts: std.StringHashMapUnmanaged(u32) = .empty;
    var product = try std.math.big.int.Managed.initSet(memory, 1);
    var tokens = std.mem.tokenizeAny(u8, text, " \n.,:;");
    while (tokens.next()) |token| {
        const entry = try counts.getOrPutValue(memory, token, 0);
        entry.value_ptr.* += 1;
        const number = std.fmt.parseInt(u64, token, 10) catch continue;
        if (number == 0) continue;
        var factor = try std.math.big.int.Managed.initSet(memory, number);
        try product.mul(&product, &factor);
    }
    var words: std.ArrayList(Word) = .empty;
    var entries = counts.iterator();
    while (entries.next()) |entry| try words.append(memory, .{ .name = entry.key_ptr.*, .count = entry.value_ptr.* });
    std.mem.sort(Word, words.items, {}, before);

    var digest: [32]u8 = undefined;
    std.crypto.hash.sha2.Sha256.hash(text, &digest, .{});

    var out_buffer: [512]u8 = undefined;
    var out: std.Io.File.Writer = .init(.stdout(), init.io, &out_buffer);
    const writer = &out.interface;
    try writer.print("{x}\n{s}\n", .{ digest, try product.toString(memory, 10, .lower) });
    try std.json.Stringify.value(words.items[0..5], .{ .whitespace = .indent_2 }, writer);
    try writer.print("\n{d:.6}\n", .{@sqrt(@as(f64, @floatFromInt(text.len)))});
    try writer.flush();
}
