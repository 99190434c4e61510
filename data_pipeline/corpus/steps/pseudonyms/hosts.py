"""Hosts on the internet: those that name nobody and stay, and stand-ins for the others."""

import re

from data_pipeline.corpus.steps.pseudonyms.regions import words

MAIL_HOSTS = frozenset(
    words(
        "naver.com gmail.com hanmail.net daum.net nate.com kakao.com hotmail.com outlook.com yahoo.com yahoo.co.kr icloud.com"
        " empal.com paran.com dreamwiz.com korea.com lycos.co.kr freechal.com hanmir.com chol.com"
    )
)
"""Mail services that everybody uses: they name nobody, and stay."""

_WELL_KNOWN = frozenset(
    words(
        # Portals, video, social networks, shops, shorteners; their subdomains are services, not people
        "naver.com naver.me daum.net kakao.com nate.com zum.com google.com google.co.kr goo.gl youtube.com youtu.be facebook.com"
        " fb.com instagram.com twitter.com x.com t.co t.me telegram.me bit.ly me2.do han.gl tinyurl.com dcinside.com namu.wiki"
        " wikipedia.org yahoo.com bing.com github.com reddit.com linkedin.com pinterest.com tiktok.com twitch.tv afreecatv.com"
        " vimeo.com amazon.com apple.com microsoft.com netflix.com coupang.com gmarket.co.kr auction.co.kr 11st.co.kr ppomppu.co.kr"
        " clien.net inven.co.kr ruliweb.com fmkorea.com change.org"
        # Newspapers, agencies and stations
        " chosun.com donga.com joongang.co.kr joins.com hani.co.kr khan.co.kr kmib.co.kr munhwa.com segye.com seoul.co.kr hankookilbo.com"
        " hankyung.com mk.co.kr mt.co.kr sedaily.com edaily.co.kr asiae.co.kr heraldcorp.com etnews.com zdnet.co.kr yna.co.kr"
        " yonhapnews.co.kr newsis.com news1.kr nocutnews.co.kr ohmynews.com pressian.com mediatoday.co.kr sisain.co.kr kbs.co.kr"
        " imbc.com sbs.co.kr ebs.co.kr ytn.co.kr jtbc.co.kr tvchosun.com ichannela.com mbn.co.kr bbc.com bbc.co.uk cnn.com"
        " nytimes.com reuters.com"
    )
)
_GOVERNMENT = re.compile(r"(?:^|\.)go\.kr$")
RESERVED = ".test"
"""Top-level domain that nobody can have (RFC 2606, section 2)."""


def names_nobody(host: str) -> bool:
    """Whether a host is a well-known service's, or the government's (.go.kr): it says nothing about a person, and stays."""
    labels = host.casefold().split(".")
    return bool(_GOVERNMENT.search(host.casefold())) or any(
        ".".join(labels[first:]) in _WELL_KNOWN for first in range(len(labels))
    )
