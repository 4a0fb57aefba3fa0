// Boost.Asio: asio_client ROLE HOST PORT COUNT [CONNECTIONS]
// lines-in and length-in as its documentation shows them, *-hand by hand.
#include <arpa/inet.h>
#include <boost/asio.hpp>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

static long long frames;
static void received(const std::string &) { ++frames; }

struct Link : std::enable_shared_from_this<Link> {
    tcp::socket socket;
    std::string buffer, request;
    std::vector<char> chunk;
    uint32_t head = 0;
    long long left = 0;
    explicit Link(asio::io_context &loop) : socket(loop), chunk(65536) {}

    void line() {
        auto self = shared_from_this();
        asio::async_read_until(socket, asio::dynamic_buffer(buffer), '\n',
            [self](error_code error, std::size_t size) {
                if (error) return;
                std::size_t end = size - 1;
                if (end && self->buffer[end - 1] == '\r') --end;
                received(self->buffer.substr(0, end));
                self->buffer.erase(0, size);
                self->line();
            });
    }

    void length() {
        auto self = shared_from_this();
        asio::async_read(socket, asio::buffer(&head, 4), [self](error_code error, std::size_t) {
            if (error) return;
            self->buffer.resize(ntohl(self->head));
            asio::async_read(self->socket, asio::buffer(self->buffer),
                [self](error_code again, std::size_t) {
                    if (again) return;
                    received(self->buffer);
                    self->length();
                });
        });
    }

    template <typename Cut> void by_hand(Cut cut) {
        auto self = shared_from_this();
        socket.async_read_some(asio::buffer(chunk), [self, cut](error_code error, std::size_t size) {
            if (error) return;
            self->buffer.append(self->chunk.data(), size);
            self->buffer.erase(0, cut(self->buffer));
            self->by_hand(cut);
        });
    }

    void more() {
        auto self = shared_from_this();
        if (!left--) return socket.close();
        asio::async_write(socket, asio::buffer(request), [self](error_code error, std::size_t) {
            if (!error) self->more();
        });
    }

    void ask() {
        auto self = shared_from_this();
        if (!left--) return socket.close();
        asio::async_write(socket, asio::buffer(request), [self](error_code, std::size_t) {
            self->buffer.resize(64);
            asio::async_read(self->socket, asio::buffer(self->buffer),
                [self](error_code error, std::size_t) {
                    if (!error) self->ask();
                });
        });
    }
};

static std::size_t cut_lines(const std::string &buffer) {
    const char *start = buffer.data(), *end = start + buffer.size(), *at = start;
    while (const void *found = std::memchr(at, '\n', static_cast<std::size_t>(end - at))) {
        const char *stop = static_cast<const char *>(found);
        received(std::string(at, stop > at && stop[-1] == '\r' ? stop - 1 : stop));
        at = stop + 1;
    }
    return static_cast<std::size_t>(at - start);
}

static std::size_t cut_lengths(const std::string &buffer) {
    std::size_t at = 0;
    uint32_t size;
    while (buffer.size() - at >= 4) {
        std::memcpy(&size, buffer.data() + at, 4);
        size = ntohl(size);
        if (buffer.size() - at - 4 < size) break;
        received(buffer.substr(at + 4, size));
        at += 4 + size;
    }
    return at;
}

int main(int count, char **values) {
    const std::string role = values[1];
    asio::io_context loop(1);
    tcp::endpoint there(asio::ip::make_address(values[2]),
                        static_cast<unsigned short>(std::stoi(values[3])));
    int connections = count > 5 ? std::stoi(values[5]) : 1;
    long long each = (count > 4 ? std::stoll(values[4]) : 0) / connections;
    std::vector<std::shared_ptr<Link>> links;
    for (int n = 0; n < connections; n++) {
        auto link = std::make_shared<Link>(loop);
        link->socket.connect(there);
        link->socket.set_option(tcp::no_delay(true));
        link->left = each;
        links.push_back(link);
    }
    for (auto &link : links) {
        if (role == "lines-in") link->line();
        if (role == "length-in") link->length();
        if (role == "lines-in-hand") link->by_hand(cut_lines);
        if (role == "length-in-hand") link->by_hand(cut_lengths);
        if (role == "out") link->request = std::string(99, 'x') + "\n", link->more();
        if (role == "ask") link->request = std::string(63, 'q') + "\n", link->ask();
    }
    links.clear();
    loop.run();
    std::cout << (each ? each * connections : frames) << "\n";
}
