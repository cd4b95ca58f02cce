import pytest
from hypothesis import given
from hypothesis import strategies as st

from affinage.datasets.collect.addresses import (
    domain_of,
    host_in,
    host_of,
    read_address,
    without_password,
)
from affinage.datasets.collect.guard import RefusedAddress, guarded_socket, refusal


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "without an address"),
        ("   ", "without an address"),
        ("file:///etc/passwd", "'file:', not http"),
        ("ftp://host.example/a.jpg", "'ftp:'"),
        ("javascript:alert(1)", "'javascript:'"),
        ("data:image/png;base64,AAAA", "'data:'"),
        ("//host.example/a.jpg", "no scheme"),
        ("photos/1.jpg", "no scheme"),
        ("../../etc/passwd", "no scheme"),
        ("http:///a.jpg", "cannot be read|without a host"),
        ("http://[::1/a.jpg", "cannot be read"),
        ("http://host.example:99999/a.jpg", "cannot be read"),
        ("http://host.example:port/a.jpg", "cannot be read"),
        ("http://good.example\\@evil.example/a.jpg", "cannot be read"),
        ("http://host.example/a\r\nHost: evil.example", "control characters"),
        ("http://host.example/a\0.jpg", "control characters"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_its_reason(text, why):
    with pytest.raises(ValueError, match=why):
        read_address(text)


@pytest.mark.parametrize(
    ("text", "asked", "host"),
    [
        (" http://Host.Example/a b.jpg ", "http://host.example/a%20b.jpg", "host.example"),
        ("https://bü.example/ü.jpg", "https://xn--b-eha.example/%C3%BC.jpg", "xn--b-eha.example"),
        ("http://host.example./a.jpg#top", "http://host.example./a.jpg#top", "host.example"),
        ("http://u:w@H.example:81/a.jpg?y=%2F", "http://u:w@H.example:81/a.jpg?y=%2F", "h.example"),
        ("http://[2001:DB8::1]/a.jpg", "http://[2001:DB8::1]/a.jpg", "2001:db8::1"),
    ],
)  # fmt: skip
def test_addresses_are_read_as_they_are_asked_for(text, asked, host):
    url = read_address(text)
    assert str(url) == asked
    assert host_of(url) == host


def test_the_domain_is_the_host_without_www():
    assert domain_of("www.host.example") == "host.example"
    assert domain_of("www2.host.example") == "www2.host.example"


def test_passwords_are_not_shown():
    assert without_password("http://u:secret@h.example/a") == "http://h.example/a"
    assert without_password("not an address") == "not an address"


REFUSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "192.0.2.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "2001::1", "no address",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "8.8.8.8", "172.32.0.1", "2606:2800:220:1::1", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public_are_refused(address):
    assert refusal(address) is not None
    with pytest.raises(RefusedAddress):
        guarded_socket((2, 1, 6, "", (address, 80)))


METADATA = [
    "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "fd00:ec2::254", "fd00:0ec2:0::0254", "100.100.100.200", "168.63.129.16", "no address",
]  # fmt: skip
INNER = ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.0.1", "fe80::1%eth0", "::1"]


@pytest.mark.parametrize("address", METADATA)
def test_a_clouds_metadata_is_refused_even_where_private_addresses_are_allowed(address):
    with pytest.raises(RefusedAddress):
        guarded_socket((2, 1, 6, "", (address, 80)), private=True)


@pytest.mark.parametrize("address", INNER)
def test_other_inner_addresses_are_connected_to_where_that_is_allowed(address):
    family = 10 if ":" in address else 2
    guarded_socket((family, 1, 6, "", (address, 80)), private=True).close()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_not_refused(address):
    assert refusal(address) is None


@given(
    st.from_regex(
        r"(http|https|HTTP)://[a-zA-Z0-9.@:%\[\]-]{1,20}(/[a-z./?#@:% -]{0,12})?", fullmatch=True
    )
)
def test_the_short_way_to_the_host_agrees_with_the_long_one(text):
    try:
        long = host_of(read_address(text))
    except ValueError:
        with pytest.raises(ValueError, match="address"):
            host_in(text)
    else:
        assert host_in(text) == long
